import { must, page, should, type Requirement } from "./requirement.ts";

/** Requests whose results are fetched later (experimental in the revision). */
export const TASKS: readonly Requirement[] = page(
  "2025-11-25 basic/utilities/tasks",
  must("tasks-1", "#capabilities", "both", "Who supports tasks declares tasks."),
  should(
    "tasks-2",
    "#capability-negotiation",
    "backend",
    "A task is asked for only where the backend declared it for that request.",
  ),
  must(
    "tasks-3",
    "#tool-level-negotiation",
    "backend",
    "A tool of a backend without tasks is not called as one.",
  ),
  should(
    "tasks-4",
    "#tool-level-negotiation",
    "client",
    "A tool that forbids tasks answers such a call by -32601.",
  ),
  must(
    "tasks-5",
    "#tool-level-negotiation",
    "client",
    "A tool that requires tasks answers any other call by -32601.",
  ),
  must(
    "tasks-6",
    "#task-support-and-handling",
    "both",
    "Where tasks are not declared, what a request says of them is ignored.",
  ),
  must("tasks-7", "#task-id-requirements", "client", "Task ids are unique over all backends."),
  must("tasks-8", "#result-retrieval", "client", "A task-augmented request is answered by a task."),
  must("tasks-9", "#result-retrieval", "client", "tasks/result waits for the end of the task."),
  must(
    "tasks-10",
    "#result-retrieval",
    "client",
    "tasks/result gives exactly what the request would have given.",
  ),
  must(
    "tasks-11",
    "#associating-task-related-messages",
    "both",
    "What names a task in _meta names the same task on the other side.",
  ),
  must(
    "tasks-12",
    "#associating-task-related-messages",
    "both",
    "The taskId of the parameters counts, whatever _meta says.",
  ),
  should("tasks-13", "#task-listing", "client", "tasks/list is paged."),
  must(
    "tasks-14",
    "#task-listing",
    "client",
    "What tasks/get gives to a client tasks/list shows it.",
  ),
  must(
    "tasks-15",
    "#task-cancellation",
    "client",
    "A task that has ended cannot be cancelled: -32602.",
  ),
  must(
    "tasks-16",
    "#protocol-errors",
    "client",
    "Unknown tasks and cursors are answered by -32602.",
  ),
  must(
    "tasks-17",
    "#ttl-and-resource-management",
    "client",
    "Times and lifetimes of a task pass as they are.",
  ),
);
