/** Finds the reason for a failed request: `fetch` itself only says "fetch failed" and has the reason in its causes. */

/** What is known of a failed request. */
export interface NetworkReason {
  /** The reason as a sentence. */
  reason: string;
  /** The code of the system, of TLS or of the HTTP client, if there is one. */
  system: string | undefined;
  /** Whether a retry would fail the same way. */
  final: boolean;
}

/** Texts for known codes. For others the message of the cause is used. */
const MEANINGS: Record<string, string> = {
  ECONNREFUSED: 'nothing accepts connections there',
  ECONNRESET: 'the connection was reset',
  ECONNABORTED: 'the connection was aborted',
  EPIPE: 'the connection was closed',
  ENOTFOUND: 'there is no host with that name',
  EAI_AGAIN: 'the host name cannot be resolved at the moment',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'the connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  UND_ERR_HEADERS_TIMEOUT: 'the response did not begin in time',
  UND_ERR_BODY_TIMEOUT: 'the response stalled',
  UND_ERR_SOCKET: 'the connection was closed',
  UND_ERR_HEADERS_OVERFLOW: 'the response headers are too long',
  HPE_HEADER_OVERFLOW: 'the response headers are too long',
};

const FINAL = /^(ENOTFOUND|UND_ERR_HEADERS_OVERFLOW|HPE_.*|ERR_TLS_.*|ERR_SSL_.*|CERT_.*|.*_CERT(_.*)?|UNABLE_TO_.*)$/;

/** The number of causes that are followed: they may form a cycle. */
const DEEPEST = 8;

/** The reason for an error of `fetch` or of reading its response. */
export function networkReason(thrown: unknown): NetworkReason {
  const chain = causesOf(thrown);
  const system = chain.map(codeOf).findLast((code) => code !== undefined);
  // The innermost cause is the most specific.
  const text = chain.map(({ message }) => message).findLast((message) => message !== '') ?? String(thrown);
  const certificate = system !== undefined && /CERT|UNABLE_TO_|ERR_TLS_/.test(system);
  const meaning = certificate ? 'its certificate is not trusted' : system && MEANINGS[system];
  const named = system === undefined || text.includes(system) ? text : `${text}, ${system}`;
  const reason = meaning === undefined ? named : `${meaning} (${named})`;
  return { reason, system, final: (system !== undefined && FINAL.test(system)) || text === 'bad port' };
}

/** An error and its causes, the outermost first. Of several connection attempts, the first is used. */
function causesOf(thrown: unknown): Error[] {
  const chain: Error[] = [];
  for (let at = thrown; at instanceof Error && chain.length < DEEPEST; ) {
    chain.push(at);
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return chain;
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
