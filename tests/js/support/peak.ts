/** The peak memory of a process. */

/**
 * An expression for the script of a child process: its peak resident memory in bytes. On Linux `maxRSS` includes the
 * parent's memory at the fork, so the kernel's figure for this program is read.
 */
export const PEAK = `((fs) => fs.existsSync('/proc/self/status')
  ? Number(/VmHWM:\\s+(\\d+) kB/.exec(fs.readFileSync('/proc/self/status', 'latin1'))[1]) * 1024
  : process.resourceUsage().maxRSS * 1024)(process.getBuiltinModule('node:fs'))`;
