// Reading the machine's apt sources: both formats, and the entry made from them for the backports suite.
import { describe, expect, it } from 'vitest';
import {
  candidateVersion,
  compareUpstream,
  findMainArchive,
  hasSuite,
  parseDeb822,
  parseOneLine,
  parseOsRelease,
  sourceEntry,
} from './apt-sources.mjs';

const DEB822 = `Types: deb
# a comment inside a stanza
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`;

describe('parseDeb822', () => {
  it('reads every stanza with its options', () => {
    expect(parseDeb822(DEB822)).toEqual([
      {
        types: ['deb'],
        uris: ['http://mirror.example/debian'],
        suites: ['bookworm', 'bookworm-updates'],
        components: ['main', 'contrib'],
        options: { 'Signed-By': '/usr/share/keyrings/archive.gpg' },
      },
      {
        types: ['deb'],
        uris: ['http://mirror.example/debian-security'],
        suites: ['bookworm-security'],
        components: ['main'],
        options: {},
      },
    ]);
  });

  it('ignores the case of field names, Windows line ends and entries that are switched off', () => {
    const text =
      'types: deb\r\nuris: http://a/\r\nsuites: bookworm\r\ncomponents: main\r\n\r\nEnabled: no\nTypes: deb\nURIs: http://b/\nSuites: x\nComponents: main\n';
    expect(parseDeb822(text).map((source) => source.uris)).toEqual([['http://a/']]);
  });

  it('keeps a key block that spans lines, and splits lists that do', () => {
    const text =
      'Types: deb\nURIs: http://a/\nSuites:\n bookworm\n bookworm-updates\nComponents: main\nSigned-By:\n -----BEGIN PGP-----\n .\n abc\n';
    const [source] = parseDeb822(text);
    expect(source?.suites).toEqual(['bookworm', 'bookworm-updates']);
    expect(source?.options['Signed-By']).toBe('-----BEGIN PGP-----\n .\n abc');
  });

  it('reads an embedded key back from the entry it writes', () => {
    const [source] = parseDeb822('Types: deb\nURIs: http://a/\nSuites: s\nComponents: main\nSigned-By:\n -----BEGIN-----\n .\n abc\n');
    expect(source).toBeDefined();
    if (source !== undefined) expect(parseDeb822(sourceEntry(source, 't'))[0]).toEqual({ ...source, suites: ['t'] });
  });
});

describe('parseOneLine', () => {
  it('reads options, comments and several components', () => {
    const text = `# deb http://commented/ bookworm main
deb [arch=amd64,arm64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # trailing
deb-src http://mirror.example/debian bookworm main
not a source
`;
    expect(parseOneLine(text)).toEqual([
      {
        types: ['deb'],
        uris: ['http://mirror.example/debian'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        options: { Architectures: 'amd64 arm64', 'Signed-By': '/k.gpg' },
      },
      { types: ['deb-src'], uris: ['http://mirror.example/debian'], suites: ['bookworm'], components: ['main'], options: {} },
    ]);
  });
});

describe('the backports entry', () => {
  it('names the mirror of the release itself, with its options', () => {
    const archive = findMainArchive(parseDeb822(DEB822), 'bookworm');
    expect(archive && sourceEntry(archive, 'bookworm-backports')).toBe(
      'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm-backports\nComponents: main\nSigned-By: /usr/share/keyrings/archive.gpg\n',
    );
  });

  it('takes neither security nor source packages nor other vendors for the main archive', () => {
    const others = parseOneLine(
      'deb http://s/ bookworm-security main\ndeb-src http://a/ bookworm main\ndeb http://node/ nodistro main\ndeb http://v/ bookworm nonfree\n',
    );
    expect(findMainArchive(others, 'bookworm')).toBeUndefined();
  });

  it('accepts a machine that follows a moving name, but prefers the codename', () => {
    const moving = parseOneLine('deb http://moving/ stable main\n');
    expect(findMainArchive(moving, 'bookworm')?.uris).toEqual(['http://moving/']);
    expect(findMainArchive([...moving, ...parseOneLine('deb http://named/ bookworm main\n')], 'bookworm')?.uris).toEqual(['http://named/']);
  });

  it('knows whether the suite is there already', () => {
    expect(hasSuite(parseDeb822(DEB822), 'bookworm-backports')).toBe(false);
    expect(hasSuite(parseOneLine('deb http://a/ bookworm-backports main\n'), 'bookworm-backports')).toBe(true);
    expect(hasSuite(parseOneLine('deb-src http://a/ bookworm-backports main\n'), 'bookworm-backports')).toBe(false);
  });
});

describe('versions', () => {
  it.each([
    ['22.3.6-1+deb12u2', '23', -1],
    ['23', '23.0.0-1', 0],
    ['23.2.1-1ubuntu3.1~22.04.3', '23', 1],
    ['25.0.7-2~bpo12+1', '25.0.7-1', 0],
    ['1:25.0.7-2', '24.99', 1],
    ['9.1', '10.0', -1],
  ] as const)('compares %s with %s', (a, b, sign) => {
    expect(Math.sign(compareUpstream(a, b))).toBe(sign);
    expect(Math.sign(compareUpstream(b, a))).toBe(sign === 0 ? 0 : -sign);
  });

  it('reads the candidate of apt-cache policy', () => {
    expect(candidateVersion('mesa-vulkan-drivers:\n  Installed: (none)\n  Candidate: 22.3.6-1+deb12u2\n  Version table:\n')).toBe(
      '22.3.6-1+deb12u2',
    );
    expect(candidateVersion('x:\n  Installed: (none)\n  Candidate: (none)\n')).toBeUndefined();
    expect(candidateVersion('')).toBeUndefined();
  });

  it('reads os-release with and without quotes', () => {
    expect(parseOsRelease('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID=\'12\'\n')).toEqual({
      PRETTY_NAME: 'Debian GNU/Linux 12 (bookworm)',
      ID: 'debian',
      VERSION_ID: '12',
    });
  });
});
