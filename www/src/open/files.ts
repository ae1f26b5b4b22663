/** The dropped or selected files, each with its path in its folder. */

/** The files that were dropped, and those in the folders that were. */
export async function filesOf(data: DataTransfer): Promise<File[]> {
  // Read before anything is awaited: afterwards the drop data is no longer available.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...data.files];
  const found = await Promise.all(entries.map((entry) => inside(entry, '')));
  return found.flat();
}

/** Only direct subfolders of a model's folder may contain its files. */
const DEPTH = 2;

/** A folder's own files, and those of folders in it. */
async function inside(entry: FileSystemEntry, path: string): Promise<File[]> {
  const depth = path === '' ? 0 : path.split('/').length;
  if (entry.isFile)
    return [withPath(await file(entry as FileSystemFileEntry), depth > 0 ? `${path}/${entry.name}` : '')];
  if (depth >= DEPTH || (depth > 0 && entry.name.startsWith('.'))) return [];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    // Some at a time, until there are none.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return files;
    for (const each of some) files.push(...(await inside(each, depth > 0 ? `${path}/${entry.name}` : entry.name)));
  }
}

function file(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/**
 * The same file with its path in its folder, as browsers set it for a selected folder. A dropped file has none, and one
 * that was posted to a worker may have lost it.
 */
export function withPath(file: File, path: string): File {
  return file.webkitRelativePath === path ? file : Object.defineProperty(file, 'webkitRelativePath', { value: path });
}

/** The name of the folder of all files; `undefined` if they came as single files. */
export function folderOf(files: readonly { readonly webkitRelativePath: string }[]): string | undefined {
  const names = new Set(files.map(({ webkitRelativePath: path }) => path.slice(0, Math.max(0, path.indexOf('/')))));
  const [name] = names;
  return names.size === 1 && name ? name : undefined;
}

/**
 * The files of a folder that can belong to the model: its own, and those that conversions read from subfolders. A copy
 * of the model for another program in a subfolder is another model.
 */
export function filesOfModel<F extends { readonly webkitRelativePath: string }>(files: readonly F[]): F[] {
  return files.filter(({ webkitRelativePath: path }) => {
    const [, ...within] = path.split('/');
    return within.length < 2 || INNER.test(within.join('/'));
  });
}

const INNER = /^(1_Pooling\/config\.json|additional_chat_templates\/[^/]*\.jinja)$/;

/** The name of a model in the page: the folder's for safetensors with a config.json, otherwise the file's. */
export function nameOfModel(files: readonly { readonly name: string }[], folder: string | undefined): string {
  const models = files.map(({ name }) => name).filter((name) => /\.(gguf|safetensors)$/i.test(name));
  const [first = files[0]?.name ?? ''] = models.sort();
  const whole = files.some(({ name }) => name === 'config.json') && !models.some((name) => /\.gguf$/i.test(name));
  return whole && folder !== undefined ? folder : first;
}
