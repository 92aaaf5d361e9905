// The one shape of every room: a pure function from a state and an event to a new state and the actions to carry out.

/** What a `decide(state, event)` returns: the state after the event, and what `io/` has to do, in this order. */
export type Decision<State, Action> = { readonly state: State; readonly actions: readonly Action[] };
