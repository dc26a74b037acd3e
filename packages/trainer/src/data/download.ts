// Downloads one file of known size and checksum. It grows as `PATH.part`, goes on from there after an interruption, and gets its
// name once it is whole and right: a file that has its name needs no second look.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { writing } from '../files/atomic.js';
import { DataError } from './dataset.js';
import type { PublishedFile } from './published.js';
import { errorCode } from './read.js';

export interface DownloadOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes of the file that are there. */
  readonly onBytes?: (bytes: number) => void;
  /** Milliseconds without a byte after which a connection is given up; default a minute. */
  readonly stallMs?: number;
  /** Milliseconds before the first repetition, doubled for each further one; default a second. */
  readonly retryMs?: number;
}

/** Connections in a row that bring no new byte, after which an address is given up. */
const ATTEMPTS = 4;

/** What went wrong at one address. */
class TransferError extends Error {
  constructor(
    message: string,
    /** Whether the same address may do better next time. */
    readonly passing: boolean,
  ) {
    super(message);
  }
}

/** All bytes came, and they are not the published ones. */
class ChecksumError extends TransferError {}

/** Throws DataError when no address gives the file, the signal's reason when aborted (what came is kept), FileWriteError. */
export async function download(file: PublishedFile, path: string, options: DownloadOptions = {}): Promise<void> {
  if ((await sizeOf(path)) > 0) return;
  const failures: string[] = [];
  for (const url of file.urls) {
    try {
      return await downloadFrom(url, file, path, options);
    } catch (error) {
      if (!(error instanceof TransferError)) throw error;
      failures.push(`${url}: ${error.message}`);
    }
  }
  const kept = await sizeOf(partOf(path));
  const next =
    kept > 0
      ? `; ${kept} of ${file.sizeBytes} bytes are kept, and the same command goes on from there`
      : '; try again later, or from a mirror';
  throw new DataError(file.name, `could not be fetched: ${failures.join('; ')}${next}`);
}

const partOf = (path: string): string => `${path}.part`;
const besideOf = (part: string): string => `${part}.new`;

/** All files that a download to `path` may leave. */
export const downloadPaths = (path: string): string[] => [path, partOf(path), besideOf(partOf(path))];

/** Bytes of `path` or, as long as it is not whole, of what there is of it. */
export async function bytesThere(path: string): Promise<number> {
  return (await sizeOf(path)) || sizeOf(partOf(path));
}

async function downloadFrom(url: string, file: PublishedFile, path: string, options: DownloadOptions): Promise<void> {
  const part = partOf(path);
  if ((await sizeOf(part)) > file.sizeBytes) await rm(part);
  // Only more than ever before is progress: a server that ignores ranges sends the same bytes again.
  let mostBytes = await sizeOf(part);
  let wasWrong = false;
  for (let attempt = 1; ;) {
    options.signal?.throwIfAborted();
    try {
      const { whole, resumed } = await transfer(url, file, part, options);
      await checkContent(whole, file, resumed);
      await rename(whole, path);
      await rm(part, { force: true });
      return;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof TransferError) || !error.passing) throw error;
      if (error instanceof ChecksumError) {
        if (wasWrong) throw error;
        wasWrong = true;
        mostBytes = 0;
      }
      const bytes = await sizeOf(part);
      attempt = bytes > mostBytes ? 1 : attempt + 1;
      if (attempt > ATTEMPTS) throw error;
      mostBytes = Math.max(mostBytes, bytes);
    }
    await pause((options.retryMs ?? 1000) * 2 ** Math.max(0, attempt - 2), undefined, options.signal && { signal: options.signal }).catch(
      () => options.signal?.throwIfAborted(),
    );
  }
}

interface Transferred {
  /** Where all bytes of the file are: the part, or the file beside it. */
  readonly whole: string;
  /** Whether some of them were there before this connection. */
  readonly resumed: boolean;
}

/** Gets the bytes that the part lacks, or all of them where the server ignores ranges. Throws TransferError. */
async function transfer(url: string, { sizeBytes }: PublishedFile, part: string, options: DownloadOptions): Promise<Transferred> {
  const there = await sizeOf(part);
  if (there === sizeBytes) return { whole: part, resumed: true };
  const stall = new Stall(options.stallMs ?? 60_000);
  try {
    const signal = options.signal === undefined ? stall.signal : AbortSignal.any([options.signal, stall.signal]);
    // Unpacked on the way, the bytes would be others than those published.
    const headers = { 'accept-encoding': 'identity', ...(there > 0 && { range: `bytes=${there}-` }) };
    const response = await fetch(url, { headers, signal });
    const start = startOf(response, there);
    const length = Number(response.headers.get('content-length') ?? sizeBytes - start);
    if (start + length !== sizeBytes) {
      throw new TransferError(`the server has a file of ${start + length} bytes; the published one has ${sizeBytes}`, false);
    }
    const onBytes = (bytes: number): void => {
      stall.reset();
      options.onBytes?.(Math.max(bytes, there));
    };
    if (start < there) return { whole: await writeBeside(response, part, { there, sizeBytes }, onBytes), resumed: false };
    await append(response, part, { start, sizeBytes }, onBytes);
    return { whole: part, resumed: start > 0 };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw asTransferError(error, stall);
  } finally {
    stall.end();
  }
}

/** Where the response's bytes begin: a server may send all of the file, whatever part was asked for. */
function startOf({ status, statusText, headers, ok }: Response, asked: number): number {
  if (status === 200) return 0;
  if (status === 206 && headers.get('content-range')?.startsWith(`bytes ${asked}-`) === true) return asked;
  const passing = status === 408 || status === 429 || status >= 500;
  throw new TransferError(`the server answered ${status}${statusText === '' ? '' : ` ${statusText}`}${ok ? ', no file' : ''}`, passing);
}

/**
 * Writes a body that begins anew beside a part of `there` bytes, and returns where. It may be no file at all but the page of a
 * network's login: only when it breaks off with more bytes than the part does it take the part's place.
 */
async function writeBeside(
  response: Response,
  part: string,
  { there, sizeBytes }: { readonly there: number; readonly sizeBytes: number },
  onBytes: (bytes: number) => void,
): Promise<string> {
  const beside = besideOf(part);
  try {
    await append(response, beside, { start: 0, sizeBytes }, onBytes);
    return beside;
  } catch (error) {
    const isWrong = error instanceof TransferError && !error.passing;
    if (!isWrong && (await sizeOf(beside)) > there) await rename(beside, part);
    else await rm(beside, { force: true });
    throw error;
  }
}

/** Writes the body from byte `start` on; what came before a failure stays. */
async function append(
  response: Response,
  part: string,
  { start, sizeBytes }: { readonly start: number; readonly sizeBytes: number },
  onBytes: (bytes: number) => void,
): Promise<void> {
  const handle = await writing(part, () => open(part, start === 0 ? 'w' : 'a'));
  let bytes = start;
  try {
    for await (const chunk of response.body ?? []) {
      if (bytes + chunk.length > sizeBytes) throw new TransferError(`the server sends more than the ${sizeBytes} bytes published`, false);
      await writing(part, () => handle.writeFile(chunk));
      bytes += chunk.length;
      onBytes(bytes);
    }
    await writing(part, () => handle.sync());
  } finally {
    await handle.close();
  }
  if (bytes < sizeBytes) throw new TransferError(`the connection ended at byte ${bytes} of ${sizeBytes}`, true);
}

/** Removes what is whole and wrong. Where a part of it was there before this connection, that part may be the wrong one. */
async function checkContent(path: string, { md5 }: PublishedFile, resumed: boolean): Promise<void> {
  const hash = createHash('md5');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  const found = hash.digest('hex');
  if (found === md5) return;
  await rm(path);
  throw new ChecksumError(`has the MD5 checksum ${found}; the published file has ${md5}`, resumed);
}

/** Aborts its signal when it is not reset for a while. */
class Stall {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly milliseconds: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), milliseconds);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get message(): string {
    return `no byte came for ${this.milliseconds / 1000} s`;
  }

  reset(): void {
    this.#timer.refresh();
  }

  /** Also closes a connection whose answer was not wanted. */
  end(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}

/** Network failures in words; everything else as it is. */
function asTransferError(error: unknown, stall: Stall): unknown {
  if (stall.signal.aborted) return new TransferError(stall.message, true);
  if (!(error instanceof TypeError)) return error;
  const { cause } = error;
  const code = errorCode(cause);
  // A name that nobody knows and a port where nobody listens are the same in a second.
  const passing = code !== 'ENOTFOUND' && code !== 'ECONNREFUSED';
  return new TransferError(`the connection failed (${cause instanceof Error ? cause.message : error.message})`, passing);
}

/** 0 for what does not exist. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
