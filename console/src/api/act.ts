// An act on one thing: asks the door, then what is on the page is asked for again.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ask } from "./http";

export interface Act {
  path: string;
  method?: "POST" | "PATCH" | "DELETE" | "PUT";
  body?: unknown;
  /** The version that is changed, where the door asks for one. */
  ifMatch?: string;
}

export function useAct<T>(onDone?: (answer: T) => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ path, method = "POST", body, ifMatch }: Act) =>
      ask<T>(path, { method, ...(method === "DELETE" ? {} : { body: body ?? {} }), ...(ifMatch ? { ifMatch } : {}) }),
    onSuccess: async (answer) => {
      await client.invalidateQueries();
      onDone?.(answer);
    },
  });
}
