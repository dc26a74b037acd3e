// The version of this package, as in its package.json beside both src/ and dist/.
import { createRequire } from 'node:module';
import { z } from 'zod';

const manifest = z.object({ version: z.string() });

export const VERSION: string = manifest.parse(createRequire(import.meta.url)('../package.json')).version;
