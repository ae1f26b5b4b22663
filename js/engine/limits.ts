/** Limits that several layers keep. */

/** A journal of a file of terabytes has a few million tiles of a hundred bytes: a larger one is not ours. */
export const MAX_JOURNAL_BYTES = 1 << 29;
