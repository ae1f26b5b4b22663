import { formats, init } from 'quantpress';

const status = document.querySelector<HTMLElement>('#status');
const table = document.querySelector('table');

try {
  await init();
  const rows = formats().map(({ name, bitsPerWeight, weights }) => {
    const row = document.createElement('tr');
    for (const value of [name, bitsPerWeight, weights]) row.insertCell().textContent = String(value);
    return row;
  });
  table?.tBodies[0]?.replaceChildren(...rows);
  table?.removeAttribute('hidden');
  if (status) status.textContent = `The engine is ready: ${rows.length} formats.`;
} catch (error) {
  if (status) status.textContent = error instanceof Error ? error.message : String(error);
}
