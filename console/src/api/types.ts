// Names for what the doors answer with; the shapes are generated from their own documents (`npm run api`).
import type { components as C } from "./console";
import type { components as O } from "./operator";

type Console = C["schemas"];
type Operator = O["schemas"];

export interface Paged<T> {
  items: T[];
  next_cursor?: string | null;
  total?: number | null;
}

export type Me = Console["MeReply"];
export type Allocation = Console["AllocationView"];
export type Sku = Console["SkuView"];
export type Operation = Console["OperationView"];
export type Line = Console["LineView"];
export type Launch = Console["LaunchRequest"];
export type Launched = Console["Launched"];
export type Precheck = Console["Precheck"];
export type SshKey = Console["SshKeyReply"];
export type SignIn = Console["SessionItem"];
export type ShellSession = Console["Page_SessionReply"]["items"][number];
export type Home = Console["HomeView"];
export type WorkloadPage = Console["WorkloadPage"];
export type ActivityLine = Console["ActivityLine"];
export type Project = Console["ProjectReply"];
export type ApiKey = Console["ApiKeyItem"];
export type ApiKeyMade = Console["ApiKeyMade"];
export type WorkloadMetrics = Console["MetricsView"];
export type Accepted = Console["Accepted"];
export type SkuPrice = Operator["SkuPrice"];
export type Node = Operator["NodeItem"];
export type Gpu = Operator["GpuItem"];
export type Slot = Operator["SlotItem"];
export type NodeTask = Operator["TaskItem"];
export type Metrics = Operator["MetricsView"];
export type Token = Operator["TokenItem"];
export type Minted = Operator["Minted"];
export type AuditEvent = Operator["EventReply"];
export type Chain = Operator["ChainReply"];
export type User = Operator["UserReply"];
export type Cell = Operator["CellItem"];
export type AttentionItem = Operator["AttentionItem"];
export type Fuse = Operator["FuseItem"];
export type Overview = Operator["Overview"];
export type ActivityItem = Operator["ActivityItem"];
export type Certificates = Paged<Operator["CertificateItem"]>;
export type Xids = Paged<Operator["XidItem"]>;
