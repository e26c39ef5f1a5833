// Formatting of file sizes and durations.
const MB = 1024 * 1024;
const whole = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });

/** A file size: 340 KB, 2.4 MB. @param {number} bytes */
export function size(bytes) {
  return bytes < MB ? `${whole.format(Math.max(1, bytes / 1024))} KB` : `${tenth.format(bytes / MB)} MB`;
}

/** A duration in seconds as 1:05. @param {number} seconds */
export function clockOf(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}
