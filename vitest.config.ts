// Tests run on the TypeScript sources: the `n2n-source` condition makes `@n2n/*` resolve to src/ instead of dist/, so
// no build is needed. Every test file runs in a process of its own (one GPU device a process; worker threads that end
// with GPU work pending abort the process).
import { defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';
import { ensureRuntimeDirectory } from './scripts/bootstrap/environment.mjs';

// Set here and not in `test.env`, so that the forks inherit it before the Vulkan loader reads it.
ensureRuntimeDirectory(process.env);

const conditions = ['n2n-source', ...defaultServerConditions];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'benchmarks/src/**/*.test.ts', 'scripts/**/*.test.ts'],
    pool: 'forks',
    isolate: true,
    // Software adapters use every core already; more processes only make each test slower.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
});
