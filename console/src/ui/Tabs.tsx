// Tabs whose chosen one stands in the address; and the links between the pages of one family.
import { useRouterState } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Tab, TabList, TabPanel, Tabs } from "react-aria-components";
import { Go } from "./Go";

export function TabsAt({
  label,
  at,
  onChange,
  tabs,
}: {
  label: string;
  at: string | undefined;
  onChange: (id: string) => void;
  tabs: [id: string, word: string, body: () => ReactNode][];
}) {
  const first = tabs[0]?.[0] ?? "";
  const chosen = tabs.some(([id]) => id === at) ? (at ?? first) : first;
  return (
    <Tabs className="tabs" selectedKey={chosen} onSelectionChange={(key) => onChange(String(key))}>
      <TabList aria-label={label}>
        {tabs.map(([id, word]) => (
          <Tab key={id} id={id}>
            {word}
          </Tab>
        ))}
      </TabList>
      {tabs.map(([id, , body]) => (
        <TabPanel key={id} id={id}>
          {body()}
        </TabPanel>
      ))}
    </Tabs>
  );
}

/** The pages of one family, as a second line of navigation. */
export function Family({ label, links }: { label: string; links: readonly (readonly [to: string, word: string])[] }) {
  const path = useRouterState({ select: (state) => state.location.pathname });
  return (
    <nav aria-label={label} className="family">
      {links.map(([to, word]) => (
        <Go key={to} to={to} {...(path === to ? { "aria-current": "page" as const } : {})}>
          {word}
        </Go>
      ))}
    </nav>
  );
}
