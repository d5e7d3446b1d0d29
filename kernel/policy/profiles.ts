/** Built-in read rules: what a kind of program reads inside its own image before it does anything of its own. They never grant writing or network. */

/** The image's own program: part of every profile. */
const PROGRAM = ['/app/**']

/** What libc itself opens, static ones included. */
const BASE = [
  ...PROGRAM,
  '/dev/{null,zero,full,random,urandom,tty}',
  '/dev/{fd,stdin,stdout,stderr}',
  '/dev/pts/*',
  '/proc/self/**',
  '/proc/thread-self/**',
  '/proc/{cpuinfo,meminfo,stat,uptime,loadavg,version,filesystems,mounts}',
  '/proc/sys/kernel/{osrelease,ostype,version,random/uuid,random/boot_id,cap_last_cap,pid_max}',
  '/proc/sys/vm/{overcommit_memory,max_map_count}',
  '/etc/{passwd,group,hosts,hostname,resolv.conf,nsswitch.conf,host.conf,gai.conf,services,protocols,localtime,timezone,os-release}',
  '/usr/share/zoneinfo/**',
  // Certificate authorities: a static Go or Rust program reads them too.
  '/etc/{ssl,pki}/**',
]

/** The loader, shared libraries, locales, and where distributions keep certificates. */
const DYNAMIC = [
  '/etc/ld.so.{cache,conf,preload}',
  '/etc/ld.so.conf.d/**',
  '/etc/ld-musl-*.path',
  '/lib/**',
  '/lib32/**',
  '/lib64/**',
  '/libx32/**',
  '/usr/lib/**',
  '/usr/lib32/**',
  '/usr/lib64/**',
  '/usr/local/lib/**',
  '/usr/libexec/**',
  '/usr/share/locale/**',
  '/usr/share/i18n/**',
  '/etc/locale.alias',
  '/usr/share/ca-certificates/**',
  '/etc/ca-certificates/**',
  '/usr/local/share/ca-certificates/**',
  '/sys/devices/system/cpu/**',
  '/sys/fs/cgroup/**',
  '/sys/kernel/mm/transparent_hugepage/**',
]

export const PROFILES = {
  'tier1-musl': { doc: 'statically linked programs', read: BASE },
  'tier2-glibc': { doc: 'dynamically linked programs', read: [...BASE, ...DYNAMIC] },
  python: {
    doc: 'Python, its standard library and packages',
    read: [
      ...BASE,
      ...DYNAMIC,
      '/usr/bin/python3*',
      '/usr/local/bin/python3*',
      '/usr/bin/env',
      '/usr/bin/pyvenv.cfg',
      '/usr/pyvenv.cfg',
      '/usr/include/python3*/**',
      '/usr/local/include/python3*/**',
      '/usr/share/python3/**',
      '/etc/python3*/**',
      '/etc/mime.types',
    ],
  },
  node: {
    doc: 'Node.js and its modules',
    read: [
      ...BASE,
      ...DYNAMIC,
      '/usr/bin/{node,nodejs,env}',
      '/usr/local/bin/node',
      '/usr/share/{nodejs,node_modules}/**',
      '/etc/nodejs/**',
      '/package.json',
      '/node_modules/**',
    ],
  },
  bun: {
    doc: 'Bun and its modules',
    read: [
      ...BASE,
      ...DYNAMIC,
      '/usr/bin/{bun,env}',
      '/usr/local/bin/bun',
      '/package.json',
      '/tsconfig.json',
      '/bunfig.toml',
      '/node_modules/**',
    ],
  },
} as const satisfies Record<string, { doc: string; read: readonly string[] }>

export type ProfileName = keyof typeof PROFILES

export const PROFILE_NAMES = Object.keys(PROFILES) as ProfileName[]

export function isProfile(name: string): name is ProfileName {
  return Object.hasOwn(PROFILES, name)
}
