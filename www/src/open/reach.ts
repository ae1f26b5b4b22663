/**
 * What the page can reach. `index.html` can reach only its own origin; the browser enforces this through its
 * Content-Security-Policy. A model at a URL is opened by `url.html`, the same page with a policy that allows reading
 * from other origins. So `index.html` can guarantee that nothing leaves this computer.
 */
export const reachesNetwork = document.documentElement.dataset.reach === 'network';

const WANTED = 'quantpress.address';

/** Goes to the page that can read from a URL. The URL is not part of a link, so a link cannot make others fetch it. */
export function goToNetwork(address: string): void {
  sessionStorage.setItem(WANTED, address);
  location.assign(new URL(`url.html${location.hash}`, location.href));
}

/** The URL that was entered on the other page, returned once. */
export function wantedAddress(): string | undefined {
  const address = sessionStorage.getItem(WANTED) ?? undefined;
  sessionStorage.removeItem(WANTED);
  return address;
}

/** Normalises a pasted URL: the page of a file on Hugging Face becomes the file, and https is the default scheme. */
export function cleanAddress(text: string): string | undefined {
  const trimmed = text.trim();
  const whole = /^https?:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`;
  if (!URL.canParse(whole) || !new URL(whole).hostname.match(/\.|^localhost$/)) return undefined;
  const url = new URL(whole);
  if (url.hostname === 'huggingface.co') url.pathname = url.pathname.replace('/blob/', '/resolve/');
  return url.href;
}
