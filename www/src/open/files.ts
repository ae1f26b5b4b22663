/** The files of a drop: those that were dropped, and those in the folders that were. */
export async function filesOf(data: DataTransfer): Promise<File[]> {
  // Asked for before anything is awaited: afterwards the drop is over.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...data.files];
  const found = await Promise.all(entries.map(inside));
  return found.flat();
}

/** A folder's own files, not those of folders in it. */
async function inside(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await file(entry as FileSystemFileEntry)];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    // Some at a time, until there are none.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return files;
    for (const each of some) if (each.isFile) files.push(await file(each as FileSystemFileEntry));
  }
}

function file(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
