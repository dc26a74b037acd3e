// Errors of the agent that more than one of its files throws.

/** A constraint or an option that cannot be; the command line's exit code 2. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}
