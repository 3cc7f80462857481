// Where the focus goes when somebody comes to another page: to its heading, whenever that is there. The address may
// change before the page is loaded, or with it.
let due = false;
let fresh: HTMLElement | undefined;

const take = (heading: HTMLElement) => heading.focus({ preventScroll: true });

/** The address has changed. */
export function arrived(): void {
  if (fresh) take(fresh);
  due = fresh === undefined;
  fresh = undefined;
}

/** A page has its heading. */
export function headed(heading: HTMLElement): void {
  if (due) {
    due = false;
    take(heading);
    return;
  }
  fresh = heading;
  setTimeout(() => {
    if (fresh === heading) fresh = undefined;
  });
}
