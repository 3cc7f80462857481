// The pages about who may do what, and with which keys.
export const ACCESS = [
  ["/access/projects", "Projects"],
  ["/access/credentials", "SSH keys"],
  ["/access/api-keys", "API keys"],
] as const;

export const PROJECTS = "/access/projects";

export function projectPath(id: string): string {
  return `${PROJECTS}/${id}`;
}
