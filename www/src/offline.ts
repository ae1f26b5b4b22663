/** The page works without a network once it has been opened: a service worker caches the built files. */

/** Registers it when the page is idle. Browsers without service workers use the network. */
export function keepOffline(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const register = (): void => {
    // Private windows refuse it, which needs no message.
    navigator.serviceWorker.register('./sw.js').catch(() => undefined);
  };
  const idle = (): void => void (globalThis.requestIdleCallback ?? setTimeout)(register);
  if (document.readyState === 'complete') idle();
  else addEventListener('load', idle, { once: true });
}
