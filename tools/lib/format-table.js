/** The table of formats in the guide. */

const [BEGIN, END] = ['<!-- formats -->\n', '<!-- end of formats -->'];

/**
 * @param {import('quantpress').Format[]} formats
 * @returns {string} one row per format, the largest first
 */
export function formatTable(formats) {
  const rows = [...formats]
    .sort((a, b) => b.bitsPerWeight - a.bitsPerWeight || a.id - b.id)
    .map(({ name, id, weights, bytes, bitsPerWeight, canEncode, needsImportance }) => {
      const writes = canEncode ? (needsImportance ? 'with an importance matrix' : 'yes') : 'reads only';
      const size = `${weights} in ${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`;
      return `| ${name} | ${id} | ${Number(bitsPerWeight.toFixed(4))} | ${size} | ${writes} |`;
    });
  return ['| format | id | bits per weight | a block | written |', '|---|---|---|---|---|', ...rows, ''].join('\n');
}

/** @param {string} readme @param {string} table */
export function withFormatTable(readme, table) {
  const [before, rest] = readme.split(BEGIN);
  return `${before}${BEGIN}${table}${END}${rest?.split(END)[1] ?? ''}`;
}
