// A TAR of images as a listing: the same data set as the folder that it was made of.
import { DataError } from './dataset.js';
import { isImageName, type ImageListing } from './images.js';
import { readTar, type TarEntry } from './tar.js';

/** Folders around the whole content, as `tar cf data.tar data` makes one, are left out. Throws DataError for a name that is there twice. */
export async function listTar(path: string): Promise<ImageListing> {
  const all = (await readTar(path)).filter((entry) => !entry.path.split('/').some((name) => name.startsWith('.')));
  const entries = withoutCommonFolder(all);
  const folders = new Set<string>();
  const files = new Map<string, TarEntry>();
  for (const entry of entries) {
    const parts = entry.path.split('/');
    if (entry.kind === 'file') parts.pop();
    for (let depth = 1; depth <= parts.length; depth++) folders.add(parts.slice(0, depth).join('/'));
    if (entry.kind === 'folder' || !isImageName(`${path}/${entry.path}`)) continue;
    if (files.has(entry.path)) throw new DataError(path, `holds "${entry.path}" twice`);
    files.set(entry.path, entry);
  }
  return {
    path,
    folders: [...folders],
    entries: [...files.values()].map((entry) => ({
      path: entry.path,
      place: `${path}/${entry.path}`,
      read: () => Promise.resolve(entry.bytes),
    })),
  };
}

function withoutCommonFolder(entries: readonly TarEntry[]): TarEntry[] {
  const first = entries[0]?.path.split('/')[0] ?? '';
  const isCommon =
    first !== 'train' && entries.every(({ path, kind }) => (path === first ? kind === 'folder' : path.startsWith(`${first}/`)));
  // One class is no data set's whole content, so what is common is no class unless images lie directly in it.
  const holdsImages = entries.some(({ path, kind }) => kind === 'file' && path.split('/').length < 3);
  if (first === '' || !isCommon || holdsImages) return [...entries];
  return withoutCommonFolder(
    entries.filter(({ path }) => path !== first).map((entry) => ({ ...entry, path: entry.path.slice(first.length + 1) })),
  );
}
