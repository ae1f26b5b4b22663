/**
 * What the page may reach. `index.html` may reach only where it came from, and its Content-Security-Policy has the browser
 * see to that. A model behind an address is opened by `url.html`, which is the same page with a policy that lets it read
 * from elsewhere: so one page promises that nothing leaves this computer, and the other never had to.
 */
export const reachesNetwork = document.documentElement.dataset.reach === 'network';

const WANTED = 'quantpress.address';

/** Goes to the page that may read from an address. The address is not in any link, so nobody can make others fetch it. */
export function goToNetwork(address: string): void {
  sessionStorage.setItem(WANTED, address);
  location.assign(new URL(`url.html${location.hash}`, location.href));
}

/** The address that was asked for on the other page, once. */
export function wantedAddress(): string | undefined {
  const address = sessionStorage.getItem(WANTED) ?? undefined;
  sessionStorage.removeItem(WANTED);
  return address;
}

/** An address as a person pastes it: of a page of a file at Hugging Face, the file; without a scheme, https. */
export function cleanAddress(text: string): string | undefined {
  const trimmed = text.trim();
  const whole = /^https?:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`;
  if (!URL.canParse(whole) || !new URL(whole).hostname.match(/\.|^localhost$/)) return undefined;
  const url = new URL(whole);
  if (url.hostname === 'huggingface.co') url.pathname = url.pathname.replace('/blob/', '/resolve/');
  return url.href;
}
