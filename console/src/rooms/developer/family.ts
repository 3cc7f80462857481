// The pages for people who write programs.
export const DEVELOPER = [
  ["/developer/docs", "Getting started"],
  ["/developer/downloads", "Downloads"],
  ["/developer/api", "API reference"],
] as const;
