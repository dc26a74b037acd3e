// What can go wrong on the way to the device. The command line maps each to an exit code.

/** No adapter, or none that can run this project (exit code 4). */
export class AdapterError extends Error {
  override readonly name = 'AdapterError';
}

/** The device went away: driver crash, reset, unplugged (exit code 5). */
export class DeviceLostError extends Error {
  override readonly name = 'DeviceLostError';
}

/** A buffer did not fit into the device's memory or over one of its limits (exit code 5). */
export class DeviceMemoryError extends Error {
  override readonly name = 'DeviceMemoryError';
}

/** A kernel or a use of the device that WebGPU refused: a defect of ours. Everything computed after it is void (exit code 1). */
export class DeviceUseError extends Error {
  override readonly name = 'DeviceUseError';
}
