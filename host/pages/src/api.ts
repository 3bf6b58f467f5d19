// Requests to the server: JSON in and out, and one error type with a message and a hint.

export class ApiError extends Error {
  /** `status` is the HTTP status, or 0 if the server did not respond. */
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

/** `path` with a query; a list repeats its name, and null and empty values are omitted. */
export function address(path: string, parameters: Parameters | URLSearchParams = {}): string {
  const query = new URLSearchParams(parameters instanceof URLSearchParams ? parameters : undefined);
  if (!(parameters instanceof URLSearchParams)) {
    for (const [name, value] of Object.entries(parameters)) {
      for (const single of Array.isArray(value) ? value : [value]) {
        const isEmpty = single === null || single === undefined || single === "" || single === false;
        if (!isEmpty) query.append(name, String(single));
      }
    }
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function request<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    window.dispatchEvent(new CustomEvent("server-unreachable"));
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
  // The server was restarted, and its address has a new token.
  if (response.status === 401) window.dispatchEvent(new CustomEvent("access-ended"));
  const error = (body as { error?: { kind?: string; message?: string; hint?: string | null } } | null)?.error;
  throw new ApiError(
    response.status,
    error?.kind ?? "error",
    error?.message ?? response.statusText,
    error?.hint ?? null,
  );
}

/** Sends a GET request. */
export function get<T>(path: string, parameters: Parameters | URLSearchParams = {}, signal?: AbortSignal): Promise<T> {
  return request<T>(address(path, parameters), {
    headers: { Accept: "application/json" },
    ...(signal ? { signal } : {}),
  });
}

/** Sends a POST request. The header proves that the request is from these pages: a form on another site cannot set it. */
export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return request<T>(path, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-Requested-With": "host" },
    body: JSON.stringify(body),
  });
}
