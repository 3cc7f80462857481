// A page: where it stands, its heading, what can be done, and its body. The heading names the document.
import { useEffect, useRef, type ReactNode } from "react";
import { headed } from "./arrive";
import { backTo } from "./back";
import { Go } from "./Go";

export type Crumb = readonly [to: string, word: string];

export function Page({
  title,
  crumbs,
  aside,
  children,
}: {
  title: string;
  /** The pages above this one; a list is gone back to as it was left. */
  crumbs?: readonly Crumb[];
  aside?: ReactNode;
  children: ReactNode;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (heading.current) headed(heading.current);
  }, []);
  useEffect(() => {
    document.title = `${title} · Muster`;
  }, [title]);
  return (
    <>
      <div className="stack tight">
        {crumbs && (
          <nav aria-label="Breadcrumb" className="crumbs">
            <ol>
              {crumbs.map(([to, word]) => (
                <li key={to}>
                  <Go to={backTo(to)}>{word}</Go>
                </li>
              ))}
            </ol>
          </nav>
        )}
        <header className="row apart">
          <h1 tabIndex={-1} id="page-title" ref={heading}>
            {title}
          </h1>
          {aside && <div className="row">{aside}</div>}
        </header>
      </div>
      {children}
    </>
  );
}
