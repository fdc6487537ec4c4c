// Asking the daemon. The key comes with the address (#KEY), stays in this tab, and travels in a header.

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** The key of this tab; one in the address is taken over and removed from it. */
export function key() {
  const given = location.hash.match(/^#([\w-]{16,})$/);
  if (given) {
    sessionStorage.setItem("key", given[1]);
    history.replaceState(null, "", "#/servers");
  }
  return sessionStorage.getItem("key") ?? "";
}

/** The JSON at a path and its ETag; null if it is still `tag`'s. Raises Refused, or TypeError without a connection. */
export async function ask(path, tag = null) {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem("key") ?? ""}` };
  if (tag) headers["If-None-Match"] = tag;
  const answer = await fetch(path, { headers, cache: "no-store" });
  if (answer.status === 304) return null;
  if (!answer.ok) {
    const body = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, body.error ?? `HTTP ${answer.status}`);
  }
  return { data: await answer.json(), tag: answer.headers.get("ETag") };
}
