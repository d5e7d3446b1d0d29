/**
 * Keys that configuration files for the Nanos unikernel's build tool have and Authority does not: each with what to do instead.
 * People bring such files along; "unknown key" would not help them.
 */
export const OPS_KEYS: ReadonlyMap<string, string> = new Map([
  ['BaseVolumeSz', 'images are read-only and as large as their files: remove it'],
  ['Boot', 'the guest kernel is Linux and needs no boot loader: remove it'],
  ['BuildDir', 'images are stored under AUTHORITY_HOME: remove it'],
  ['CloudConfig', 'Authority runs on the machine it is started on: remove it'],
  ['Debugflags', 'use `authority run --console` for the kernel’s log and `--timing` for times'],
  ['DisableArgsCopy', 'only files named in Dirs, Files and MapDirs are copied: remove it'],
  ['Force', 'building again replaces the image: remove it'],
  ['Home', 'set the environment variable AUTHORITY_HOME'],
  ['Kernel', 'choose a kernel when running: `authority run --kernel FILE`'],
  ['KlibDir', 'the guest kernel is Linux and has no klibs: remove it'],
  ['Klibs', 'the guest kernel is Linux and has no klibs; network and TLS belong to the policy'],
  ['Language', 'the kind of program is recognised: remove it'],
  ['LocalFilesParentDirectory', 'relative paths count from the folder of this file: remove it'],
  ['ManifestName', 'every image has /ak/manifest.json: remove it'],
  ['ManifestPassthrough', 'what a program may do belongs into the policy: use Policy'],
  ['Mounts', 'mounts are granted when running: `authority run -v HOST:GUEST[:ro]`'],
  ['NameServers', 'the gate resolves names: whom it asks is Resolver, which names is `net.dns` in the policy'],
  ['NanosVersion', 'the guest kernel is Linux: remove it'],
  ['NightlyBuild', 'the guest kernel is Linux: remove it'],
  ['NoTrace', 'every effect is in the audit log: remove it'],
  ['ProgramPath', 'use Program'],
  ['RebootOnExit', 'a machine runs once and ends: restart it from outside'],
  ['RunConfig', 'Memory and Cpus are keys of the file itself; ports are `-p`, mounts `-v`, acceleration `--accel` of `authority run`'],
  ['TargetConfig', 'Authority runs on the machine it is started on: remove it'],
  ['TargetRoot', 'libraries come from this machine or from Debian: remove it'],
  ['Uefi', 'the guest kernel is started directly: remove it'],
  ['Version', 'the image carries the version of the program that built it: remove it'],
  ['VolumesDir', 'there are no volumes: mount a folder with `authority run -v HOST:GUEST`'],
])
