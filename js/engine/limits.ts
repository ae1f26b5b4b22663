/** Limits that several modules use. */

/** The size limit of a journal: one for a file of terabytes has a few million entries of a hundred bytes. */
export const MAX_JOURNAL_BYTES = 1 << 29;
