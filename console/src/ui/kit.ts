// The kit: everything that pages are made of. Behaviour and keyboard come from React Aria, looks from index.css.
export { AskFirst, Dialog } from "./Dialog";
export { Badge, State } from "./Badge";
export { Button, GoButton } from "./Button";
export { Choice, Search } from "./Choice";
export { CopyButton, CopyLine, Id } from "./Copy";
export { Facts } from "./Facts";
export { Area, Field } from "./Field";
export { Go, useGo } from "./Go";
export { Failed, Notice } from "./Notice";
export { Page } from "./Page";
export { Empty, FilteredEmpty, Loaded, Loading } from "./States";
export { Family, TabsAt } from "./Tabs";
export { PagedTable, Table, type Column } from "./Table";
export { Ago, When, bytes, sayAgo, saySpan } from "./Time";
export { StepUp, needsStepUp } from "./StepUp";
export { say } from "./toasts";
export { toneOf, wordOf, type Tone } from "./state";
export { useAct } from "../api/act";
