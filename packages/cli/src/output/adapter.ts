// The adapter as results name it.
import type { AdapterDescription } from '@n2n/kernels';

export interface AdapterRecord {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** The driver and its version, as the driver gives it. */
  readonly description: string;
  readonly software: boolean;
}

export function adapterRecord({ vendor, architecture, device, description, software }: AdapterDescription): AdapterRecord {
  return { vendor, architecture, device, description, software };
}

export const adapterName = ({ device, description, software }: AdapterRecord): string =>
  `${device || 'unnamed adapter'}${description === '' ? '' : ` (${description})`}${software ? ', software' : ''}`;
