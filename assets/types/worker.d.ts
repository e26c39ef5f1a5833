// What the server puts before root/sw.js, see pwa.go.
declare const BUILD: {
  version: string;
  /** the path of PUBLIC_URL, '' for none */
  base: string;
  shell: string[];
  /** the addresses of the offline page by language */
  offline: Record<string, string>;
  fallback: string;
};

interface NotificationOptions {
  renotify?: boolean; // not in TypeScript's library, since Safari lacks it
}
