/** The page works without a network once it has been opened: a service worker keeps what was built. */

/** Registers it when the page has nothing better to do. A browser without one does with the network. */
export function keepOffline(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const register = (): void => {
    // Private windows refuse it, and then there is nothing to be said.
    navigator.serviceWorker.register('./sw.js').catch(() => undefined);
  };
  const idle = (): void => void (globalThis.requestIdleCallback ?? setTimeout)(register);
  if (document.readyState === 'complete') idle();
  else addEventListener('load', idle, { once: true });
}
