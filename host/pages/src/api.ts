// Asks the server: JSON in and out, and one kind of error that says what failed and what to do.

export class ApiError extends Error {
  /** `status` is 0 where the server did not answer. */
  constructor(
    readonly status: number,
    readonly kind: string,
    message: string,
    readonly hint: string | null = null,
  ) {
    super(message);
  }
}

export type Parameters = Record<string, string | number | boolean | null | undefined | string[]>;

/** `path` with its parameters; lists repeat the name, null and empty ones are left out. */
export function address(path: string, parameters: Parameters | URLSearchParams = {}): string {
  const query = new URLSearchParams(parameters instanceof URLSearchParams ? parameters : undefined);
  if (!(parameters instanceof URLSearchParams)) {
    for (const [name, value] of Object.entries(parameters)) {
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== null && one !== undefined && one !== "" && one !== false) query.append(name, String(one));
      }
    }
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    window.dispatchEvent(new CustomEvent("server-gone"));
    throw new ApiError(0, "unreachable", "");
  }
  const text = await response.text();
  let body: unknown = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    throw new ApiError(response.status, "answer", `${path}: ${text.slice(0, 200)}`);
  }
  if (response.ok) return body as T;
  const error = (body as { error?: { kind?: string; message?: string; hint?: string | null } } | null)?.error;
  throw new ApiError(
    response.status,
    error?.kind ?? "error",
    error?.message ?? response.statusText,
    error?.hint ?? null,
  );
}

/** Reads. */
export function get<T>(path: string, parameters: Parameters | URLSearchParams = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>(address(path, parameters), { headers: { Accept: "application/json" }, ...(signal ? { signal } : {}) });
}

/** Changes something. The header tells the server that its own page asks, since a form of another site cannot set it. */
export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return ask<T>(path, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-Requested-With": "host" },
    body: JSON.stringify(body),
  });
}
