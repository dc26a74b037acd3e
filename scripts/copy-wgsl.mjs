// Copies every .wgsl file of the package in the working directory from src/ to the same place in dist/:
// the loader reads shaders as files beside the compiled module.
import { cp } from 'node:fs/promises';
import { statSync } from 'node:fs';

await cp('src', 'dist', {
  recursive: true,
  filter: (source) => statSync(source).isDirectory() || source.endsWith('.wgsl'),
});
