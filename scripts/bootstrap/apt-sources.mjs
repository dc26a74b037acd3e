// The pure part of the driver's installation: reading the machine's apt sources in both formats, naming the backports
// suite's entry after the machine's own mirror, and comparing Mesa versions.

/**
 * One source of packages. `options` are the deb822 fields beyond the four below, by their deb822 names (`Signed-By`, ...).
 * @typedef {{ types: string[], uris: string[], suites: string[], components: string[], options: Record<string, string> }} AptSource
 */

/** Options of the one-line format whose deb822 field is spelled differently (sources.list(5)). @type {Record<string, string>} */
const DEB822_NAMES = {
  arch: 'Architectures',
  lang: 'Languages',
  target: 'Targets',
  pdiffs: 'PDiffs',
  'by-hash': 'By-Hash',
  'allow-insecure': 'Allow-Insecure',
  'allow-weak': 'Allow-Weak',
  'allow-downgrade-to-insecure': 'Allow-Downgrade-To-Insecure',
  trusted: 'Trusted',
  'signed-by': 'Signed-By',
  'check-valid-until': 'Check-Valid-Until',
  'valid-until-min': 'Valid-Until-Min',
  'valid-until-max': 'Valid-Until-Max',
  'check-date': 'Check-Date',
  'date-max-future': 'Date-Max-Future',
  snapshot: 'Snapshot',
};

/** @param {string | undefined} text */
const words = (text) => (text ?? '').split(/\s+/).filter((word) => word !== '');

/**
 * Reads a deb822 file (`*.sources`). Entries that are switched off (`Enabled: no`) or incomplete are left out.
 * @param {string} text
 * @returns {AptSource[]}
 */
export function parseDeb822(text) {
  /** @type {AptSource[]} */
  const sources = [];
  const withoutComments = text.replaceAll('\r\n', '\n').replace(/^#.*\n?/gm, '');
  for (const stanza of withoutComments.split(/\n[ \t]*\n/)) {
    /** @type {Map<string, string>} field by lower-case name: the format ignores case */
    const fields = new Map();
    /** @type {Record<string, string>} */
    const options = {};
    // A line that starts with a blank goes on with the field above it (a key block in Signed-By).
    for (const [, name = '', value = ''] of stanza.matchAll(/^([^\s:]+):[ \t]*(.*(?:\n[ \t].*)*)/gm)) {
      const key = name.toLowerCase();
      fields.set(key, value.trim());
      if (!['types', 'uris', 'suites', 'components', 'enabled'].includes(key)) options[name] = value.trim();
    }
    if (/^(no|false|0|off|disable|without)$/i.test(fields.get('enabled') ?? 'yes')) continue;
    const source = {
      types: words(fields.get('types')),
      uris: words(fields.get('uris')),
      suites: words(fields.get('suites')),
      components: words(fields.get('components')),
      options,
    };
    if (source.types.length > 0 && source.uris.length > 0 && source.suites.length > 0) sources.push(source);
  }
  return sources;
}

/**
 * Reads a one-line file (`sources.list`, `*.list`): `deb [ name=value ... ] uri suite component...`.
 * @param {string} text
 * @returns {AptSource[]}
 */
export function parseOneLine(text) {
  /** @type {AptSource[]} */
  const sources = [];
  for (const line of text.split('\n')) {
    const match = /^\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)$/.exec(line.replace(/#.*$/, '').trimEnd());
    if (match === null) continue;
    const [, type = '', optionText, uri = '', suite = '', components] = match;
    /** @type {Record<string, string>} */
    const options = {};
    for (const option of words(optionText)) {
      const [name = '', ...value] = option.split('=');
      // Lists are comma-separated here and blank-separated in deb822; `arch+=` and `arch-=` become the -Add/-Remove fields.
      const suffix = name.endsWith('+') ? '-Add' : name.endsWith('-') ? '-Remove' : '';
      const plain = name.replace(/[+-]$/, '').toLowerCase();
      options[(DEB822_NAMES[plain] ?? plain) + suffix] = value.join('=').replaceAll(',', ' ');
    }
    sources.push({ types: [type], uris: [uri], suites: [suite], components: words(components), options });
  }
  return sources;
}

/**
 * The release's main archive among the machine's sources: binary packages of component `main` in the release itself,
 * by codename or by a moving name such as `stable`. Security and update suites are other suites.
 * @param {readonly AptSource[]} sources
 * @param {string} codename for example `bookworm`
 * @returns {AptSource | undefined}
 */
export function findMainArchive(sources, codename) {
  const candidates = sources.filter((source) => source.types.includes('deb') && source.components.includes('main'));
  const moving = ['stable', 'oldstable', 'oldoldstable', 'testing'];
  return (
    candidates.find((source) => source.suites.includes(codename)) ??
    candidates.find((source) => source.suites.some((suite) => moving.includes(suite)))
  );
}

/**
 * Whether a suite is already among the sources, so that apt can take packages from it as it is.
 * @param {readonly AptSource[]} sources
 * @param {string} suite
 */
export function hasSuite(sources, suite) {
  return sources.some((source) => source.types.includes('deb') && source.suites.includes(suite) && source.components.includes('main'));
}

/**
 * A deb822 entry for `suite` on the same mirror and under the same options (keys, architectures) as `archive`.
 * @param {AptSource} archive
 * @param {string} suite
 */
export function sourceEntry(archive, suite) {
  const lines = ['Types: deb', `URIs: ${archive.uris.join(' ')}`, `Suites: ${suite}`, 'Components: main'];
  for (const [name, value] of Object.entries(archive.options)) lines.push(`${name}: ${value}`);
  return `${lines.join('\n')}\n`;
}

/**
 * Fields of an os-release file, unquoted.
 * @param {string} text
 * @returns {Record<string, string>}
 */
export function parseOsRelease(text) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const [, name = '', value = ''] of text.matchAll(/^([A-Z0-9_]+)=(.*)$/gm))
    fields[name] = value.trim().replace(/^(["'])(.*)\1$/, '$2');
  return fields;
}

/**
 * The version `apt-cache policy` would install; undefined where it knows none.
 * @param {string} policy output in the C locale
 */
export function candidateVersion(policy) {
  const version = /^\s*Candidate:\s*(\S+)/m.exec(policy)?.[1];
  return version === undefined || version === '(none)' ? undefined : version;
}

/**
 * Compares the upstream parts of two Debian versions number by number, without epoch and revision:
 * negative where `a` is older, 0 where equal, positive where newer.
 * @param {string} a for example `22.3.6-1+deb12u2`
 * @param {string} b
 */
export function compareUpstream(a, b) {
  /** @param {string} version */
  const numbers = (version) =>
    version
      .replace(/^\d+:/, '')
      .replace(/-[^-]*$/, '')
      .split(/[^0-9]+/)
      .filter((part) => part !== '')
      .map(Number);
  const [left, right] = [numbers(a), numbers(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
