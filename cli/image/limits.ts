/** Every bound of image building and reading, in one place. Checked before anything of that size is allocated. */

/** Files, directories and symlinks one image may hold. */
export const MAX_IMAGE_ENTRIES = 400_000
/** Bytes of one image file on disk. */
export const MAX_IMAGE_BYTES = 8 * 1024 ** 3
/** Bytes of one file inside an image. */
export const MAX_FILE_BYTES = 4 * 1024 ** 3
/** Bytes of a whole path inside an image, the leading slash included (Linux PATH_MAX less its NUL). */
export const MAX_IMAGE_PATH_BYTES = 4095
/** Bytes of one path component (EROFS_NAME_LEN, Linux NAME_MAX). */
export const MAX_COMPONENT_BYTES = 255
/** Bytes of a symlink's target: less than a block, as Linux requires. */
export const MAX_SYMLINK_BYTES = 4095
/** Directories above one another. */
export const MAX_DEPTH = 128
/** Bytes of one directory's own data when reading (a hostile image may claim any size). */
export const MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
/** Bytes `inspect --cat` and the manifest readers load into memory at most. */
export const MAX_READ_WHOLE_BYTES = 64 * 1024 * 1024
/** Bytes moved at a time between files. */
export const COPY_CHUNK_BYTES = 1024 * 1024
/** Bytes of an agent's folder (all files together). */
export const MAX_PROGRAM_BYTES = 2 * 1024 ** 3
/** Files and directories in an agent's folder. */
export const MAX_PROGRAM_ENTRIES = 100_000
/** Bytes of /ak/manifest.json and of an image's meta.json. */
export const MAX_MANIFEST_BYTES = 1024 * 1024
/** Bytes of a policy put into an image. */
export const MAX_POLICY_BYTES = 1024 * 1024
/** Bytes of one ELF file that are looked at: program headers, dynamic section and string table must lie within these bounds. */
export const MAX_ELF_PROGRAM_HEADERS = 256
/** Entries of the dynamic section. */
export const MAX_ELF_DYNAMIC = 4096
/** Bytes of the dynamic string table. */
export const MAX_ELF_STRINGS = 16 * 1024 * 1024
/** Libraries one program may need, transitively. */
export const MAX_LIBRARIES = 512
/** Files ld.so.conf may include, transitively. */
export const MAX_LD_CONF_FILES = 64
/** Bytes of one ld.so.conf file. */
export const MAX_LD_CONF_BYTES = 64 * 1024
/** Bytes of an image's name. */
export const MAX_NAME_BYTES = 64
/** ms for bundling a TypeScript program. */
export const BUNDLE_DEADLINE_MS = 120_000
/** Bytes of a bundle with everything it carries. */
export const MAX_BUNDLE_BYTES = 256 * 1024 * 1024
/** Characters of a bundler's complaint that are shown. */
export const MAX_BUNDLE_MESSAGE_BYTES = 4000
/** ms for compiling the Python library's byte code. */
export const COMPILE_DEADLINE_MS = 300_000
