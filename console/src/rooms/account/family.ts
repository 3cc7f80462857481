// The pages of one's own account.
export const ACCOUNT = [
  ["/account/profile", "Profile"],
  ["/account/security", "Security"],
  ["/account/sessions", "Sessions"],
] as const;
