// The software Vulkan driver (Mesa lavapipe) through apt, for machines without a usable adapter. Debian 12's own Mesa is
// too old for the WebGPU binding, so there the release's backports are read from the machine's own mirror, for this one
// installation: the list of sources lies in a temporary directory and the machine's own is left as it was.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
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
import { runCaptured, say, SetupError, wasInterrupted } from './run.mjs';

const PACKAGES = ['mesa-vulkan-drivers', 'libvulkan1'];

/** Mesa 22.3.6 is refused by the binding (no shader array indexing in lavapipe); 23 or later is not known to be. */
const OLDEST_MESA = '23';

/** 25.0.7 is tested: where Mesa 25 or later does not help, another Mesa will not either. */
const SURE_MESA = '25';

/** The exit code for "no usable adapter". */
const NO_ADAPTER = 4;

const BY_HAND =
  'Install a Vulkan driver by hand: for a GPU, its vendor\'s; for the CPU, Mesa 23 or later with lavapipe (25.0.7 is tested; Debian 13: "apt-get install mesa-vulkan-drivers libvulkan1"; Debian 12: the same from bookworm-backports; Fedora: mesa-vulkan-drivers vulkan-loader; Arch: vulkan-swrast). Then run the same command again';

/** @param {string} problem */
const noAdapter = (problem) => new SetupError(`no usable WebGPU adapter: ${problem}. ${BY_HAND}.`, NO_ADAPTER);

/** A usual reason why an installed driver is not seen. */
const overrides = () => {
  const set = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES', 'VK_LOADER_DRIVERS_DISABLE'].filter((name) => process.env[name]);
  return set.length === 0 ? '' : `; the environment sets ${set.join(' and ')}, which hides drivers`;
};

/**
 * The prefix that makes a command run as root, or undefined where there is no way without asking for a password.
 * @returns {Promise<string[] | undefined>}
 */
async function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  return (await runCaptured('sudo', ['-n', 'true'])).exitCode === 0 ? ['sudo', '-n'] : undefined;
}

/** Where apt reads its sources on this machine. */
async function aptPaths() {
  const { stdout } = await runCaptured('apt-config', ['shell', 'LIST', 'Dir::Etc::sourcelist/f', 'PARTS', 'Dir::Etc::sourceparts/d']);
  const list = /^LIST='(.*)'$/m.exec(stdout)?.[1] ?? '/etc/apt/sources.list';
  const parts = /^PARTS='(.*)'$/m.exec(stdout)?.[1] ?? '/etc/apt/sources.list.d/';
  const files = existsSync(parts)
    ? readdirSync(parts)
        .sort()
        .map((name) => join(parts, name))
    : [];
  return { list, files: files.filter((file) => /\.(list|sources)$/.test(file)) };
}

/** @param {{ list: string, files: string[] }} paths */
function readSources({ list, files }) {
  const all = existsSync(list) ? [list, ...files] : files;
  return all.flatMap((file) => (file.endsWith('.sources') ? parseDeb822 : parseOneLine)(readFileSync(file, 'utf8')));
}

/** Runs apt-get as root, without questions, waiting for another apt to finish. */
class Apt {
  /** @param {string[]} prefix */
  constructor(prefix) {
    this.prefix = prefix;
  }

  /**
   * @param {readonly string[]} args
   * @param {string} what named in the error
   */
  async run(args, what) {
    const settings = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
    const command = [...this.prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C', 'apt-get', ...settings, ...args];
    const [program = 'env', ...rest] = command;
    const result = await runCaptured(program, rest);
    if (result.exitCode === 0) return;
    process.stderr.write(result.output);
    if (wasInterrupted(result.exitCode)) throw new SetupError(`interrupted while ${what}`, result.exitCode);
    throw noAdapter(`none was found, and ${what} failed (apt's output is above)`);
  }

  /** @param {readonly string[]} options */
  async install(options) {
    await this.run(['install', '-y', '--no-install-recommends', ...options, ...PACKAGES], `installing ${PACKAGES.join(' and ')}`);
  }
}

/**
 * Installs the driver from `suite`, read from the machine's own mirror when it is not among the machine's sources yet.
 * @param {Apt} apt
 * @param {string} codename
 */
async function installFromBackports(apt, codename) {
  const suite = `${codename}-backports`;
  const paths = await aptPaths();
  const sources = readSources(paths);
  if (hasSuite(sources, suite)) return apt.install(['-t', suite]);
  const archive = findMainArchive(sources, codename);
  if (archive === undefined)
    throw noAdapter(`Mesa is too old here and the apt sources name no mirror of ${codename}'s main archive to read ${suite} from`);
  const directory = mkdtempSync(join(tmpdir(), 'n2n-apt-'));
  try {
    const parts = join(directory, 'sources.list.d');
    mkdirSync(parts);
    for (const file of paths.files) copyFileSync(file, join(parts, basename(file)));
    writeFileSync(join(parts, 'n2n-backports.sources'), sourceEntry(archive, suite));
    // The package cache of the usual sources stays as it is, and their lists are kept while the suite's are added.
    const options = ['-o', `Dir::Etc::sourceparts=${parts}`, '-o', 'Dir::Cache::pkgcache=', '-o', 'Dir::Cache::srcpkgcache='];
    const onlySuite = [
      '-o',
      'Dir::Etc::sourcelist=/dev/null',
      '-o',
      `Dir::Etc::sourceparts=${onlyFile(directory, parts)}`,
      '-o',
      'APT::Get::List-Cleanup=0',
    ];
    await apt.run(['update', ...onlySuite], `reading the package list of ${suite}`);
    await apt.install([...options, '-t', suite]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * A directory with the backports entry alone, to read that list without reading all others again.
 * @param {string} directory
 * @param {string} parts
 */
function onlyFile(directory, parts) {
  const alone = join(directory, 'alone');
  mkdirSync(alone);
  copyFileSync(join(parts, 'n2n-backports.sources'), join(alone, 'n2n-backports.sources'));
  return alone;
}

/** The release, or an error that says what to install where apt is not at hand. */
async function debianRelease() {
  const release = existsSync('/etc/os-release') ? parseOsRelease(readFileSync('/etc/os-release', 'utf8')) : {};
  const family = `${release['ID'] ?? ''} ${release['ID_LIKE'] ?? ''}`;
  const isDebian = process.platform === 'linux' && /\b(debian|ubuntu)\b/.test(family);
  if (!isDebian || (await runCaptured('apt-get', ['--version'])).exitCode !== 0)
    throw noAdapter(
      `none was found, and this is not a Debian or Ubuntu machine with apt-get (${release['PRETTY_NAME'] ?? process.platform})`,
    );
  return { codename: release['UBUNTU_CODENAME'] ?? release['VERSION_CODENAME'] ?? '', name: release['PRETTY_NAME'] ?? 'this machine' };
}

/**
 * Installs the software Vulkan driver; throws a SetupError with exit code 4 where it cannot.
 * @param {() => Promise<boolean>} adapterFound asks again, in a new process
 */
export async function installDriver(adapterFound) {
  const { codename, name } = await debianRelease();
  const prefix = await rootPrefix();
  if (prefix === undefined) throw noAdapter('none was found, and installing one needs root or a sudo that asks for no password');
  const apt = new Apt(prefix);
  const why = 'no WebGPU adapter was found, so the kernels will run on the CPU';
  say(`installing the software Vulkan driver with apt-get (${PACKAGES.join(', ')}): ${why}`);
  await apt.run(['update'], 'reading the package lists');
  const policy = await runCaptured('apt-cache', ['policy', 'mesa-vulkan-drivers'], { env: { ...process.env, LC_ALL: 'C' } });
  const version = candidateVersion(policy.stdout);
  if (version !== undefined && compareUpstream(version, OLDEST_MESA) >= 0) {
    await apt.install([]);
    if (await adapterFound()) return;
    if (compareUpstream(version, SURE_MESA) >= 0) throw noAdapter(`none was found even with Mesa ${version} installed${overrides()}`);
  }
  const stock = version === undefined ? 'no Mesa' : `Mesa ${version}`;
  say(`${name} has ${stock}, which the WebGPU binding cannot use: taking Mesa from ${codename}-backports on this machine's own mirror`);
  await installFromBackports(apt, codename);
  if (!(await adapterFound()))
    throw noAdapter(`none was found even after installing ${PACKAGES.join(' and ')} from ${codename}-backports${overrides()}`);
}
