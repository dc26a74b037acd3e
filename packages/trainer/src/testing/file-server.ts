// A small HTTP server for files, with the faults that downloads meet: broken and stalled connections, errors, no ranges.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dataFolder } from './data.js';

export interface Behaviour {
  /** Whether parts are sent when asked for; default true. */
  readonly ranges?: boolean;
  /** The connection of request i breaks after so many bytes; undefined for one that holds. */
  readonly breakAfter?: readonly (number | undefined)[];
  /** Every connection goes silent before this byte of the file. */
  readonly stallAfter?: number;
  /** Statuses that the first requests get. */
  readonly failures?: readonly number[];
  /** Without a length. */
  readonly chunked?: boolean;
}

interface Served extends Behaviour {
  readonly bytes: Uint8Array;
  requests: number;
}

export class FileServer {
  readonly requests: { readonly path: string; readonly range: string | undefined }[] = [];
  readonly #files = new Map<string, Served>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<FileServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const files = new FileServer(server);
    server.on('request', (request, response) => files.#answer(request, response));
    return files;
  }

  serve(path: string, bytes: Uint8Array, behaviour: Behaviour = {}): void {
    this.#files.set(path, { ...behaviour, bytes, requests: 0 });
  }

  url(path: string): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}${path}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #answer({ url = '', headers }: IncomingMessage, response: ServerResponse): void {
    this.requests.push({ path: url, range: headers.range });
    const file = this.#files.get(url);
    if (file === undefined) return void response.writeHead(404).end('gone');
    const request = file.requests++;
    const failure = file.failures?.[request];
    if (failure !== undefined) return void response.writeHead(failure).end();
    const asked = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? Number.NaN);
    const start = file.ranges === false || Number.isNaN(asked) ? 0 : asked;
    const size = file.bytes.length;
    if (start >= size) return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    const partial = { 'content-range': `bytes ${start}-${size - 1}/${size}` };
    const length = file.chunked === true ? {} : { 'content-length': size - start };
    response.writeHead(start > 0 ? 206 : 200, { ...length, ...(start > 0 && partial) });
    const broken = file.breakAfter?.[request];
    if (broken !== undefined) {
      response.write(file.bytes.subarray(start, start + broken), () => setTimeout(() => response.destroy(), 20));
    } else if (file.stallAfter === undefined) {
      response.end(file.bytes.subarray(start));
    } else {
      response.flushHeaders();
      if (start < file.stallAfter) response.write(file.bytes.subarray(start, file.stallAfter));
    }
  }
}

export interface FetchSetup {
  readonly server: FileServer;
  /** Empty, for what is fetched. */
  readonly folder: string;
  close(): Promise<void>;
}

/** A server and a folder, for one test. */
export async function openFetchSetup(): Promise<FetchSetup> {
  const folder = await dataFolder();
  const server = await FileServer.start();
  const close = async (): Promise<void> => {
    await server.stop();
    await folder.remove();
  };
  return { server, folder: folder.path, close };
}
