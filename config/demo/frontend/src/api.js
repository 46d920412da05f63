// The page's way to the application: JSON, session cookie, CSRF token.

/** A refusal: the status, a sentence for people, and messages by form field. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body?.error ?? `The server answered ${status}.`);
    this.status = status;
    this.fields = body?.fields ?? {};
  }
}

export function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
}

let session;

/** Who the server thinks we are; asked once, and what sets the CSRF cookie. */
export function getSession() {
  session ??= get("/session").catch((error) => {
    session = undefined;
    throw error;
  });
  return session;
}

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

async function call(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") {
    if (!csrfToken()) await getSession();
    headers["X-CSRFToken"] = csrfToken();
  }
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  const response = await fetch(`/api${path}`, { method, headers, body });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

/** The lines of a streamed response, each as soon as it is there. */
export async function* lines(path, signal) {
  const response = await fetch(`/api${path}`, { signal });
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => null));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

/** Sends a file as a form. XMLHttpRequest, because fetch cannot tell how far an upload is. */
export async function upload(file, onProgress) {
  if (!csrfToken()) await getSession();
  const form = new FormData();
  form.append("file", file);
  const request = new XMLHttpRequest();
  request.open("POST", "/api/files");
  request.responseType = "json";
  request.setRequestHeader("X-CSRFToken", csrfToken());
  request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
  return new Promise((resolve, reject) => {
    request.onload = () =>
      request.status === 201
        ? resolve(request.response)
        : reject(new ApiError(request.status, request.response));
    request.onerror = () => reject(new Error("The connection broke."));
    request.send(form);
  });
}
