// One way to talk to the door: cookies for who, a CSRF token for changes, problems as errors.

export interface ProblemBody {
  status: number;
  code: string;
  title: string;
  detail?: string;
  correlation_id?: string;
  errors?: { field?: string; message?: string; detail?: string }[];
  action?: { label: string; href: string } | null;
  retryable?: boolean;
}

/** What the door answered instead of what was asked for. */
export class Problem extends Error {
  readonly body: ProblemBody;
  readonly retryAfter: number | undefined;

  constructor(body: ProblemBody, retryAfter?: number) {
    super(body.detail || body.title);
    this.body = body;
    this.retryAfter = retryAfter;
  }

  get code(): string {
    return this.body.code;
  }
}

let csrf: string | undefined;
let onSignedOut: () => void = () => {};

/** Told by sign-in and by `GET /api/v1/me`. */
export function setCsrf(token: string | undefined): void {
  csrf = token;
}

/** Called when a session turns out to be over. */
export function whenSignedOut(act: () => void): void {
  onSignedOut = act;
}

export interface Ask {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  /** Same key, same act: made once per form, so that a double click is one launch. */
  key?: string;
  ifMatch?: string;
  signal?: AbortSignal;
}

/** Asks the door. Throws a `Problem`; a door that is away is one too. */
/** What is said when there is no answer at all. */
export const AWAY = {
  status: 0,
  code: "unreachable",
  title: "The coordinator does not answer.",
  detail: "The coordinator does not answer.",
  retryable: true,
};

export async function ask<T>(path: string, { method = "GET", body, key, ifMatch, signal }: Ask = {}): Promise<T> {
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET") {
    headers["idempotency-key"] = key ?? crypto.randomUUID();
    if (csrf) headers["x-csrf-token"] = csrf;
  }
  if (ifMatch) headers["if-match"] = ifMatch;
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(AWAY);
  }
  if (answer.status === 204) return undefined as T;
  const text = await answer.text();
  const document: unknown = text ? safeParse(text) : undefined;
  if (answer.ok) return document as T;
  const problem = asProblem(document, answer);
  if (problem.body.status === 401 && problem.code === "unauthenticated") onSignedOut();
  throw problem;
}

function safeParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asProblem(document: unknown, answer: Response): Problem {
  const wait = Number(answer.headers.get("retry-after") ?? "") || undefined;
  const body = document as Partial<ProblemBody> | undefined;
  const correlation = answer.headers.get("x-correlation-id");
  return new Problem(
    {
      ...body,
      status: answer.status,
      code: body?.code ?? "unexpected",
      title: body?.title ?? `The coordinator answered ${answer.status}.`,
      ...(correlation && !body?.correlation_id ? { correlation_id: correlation } : {}),
    },
    wait,
  );
}
