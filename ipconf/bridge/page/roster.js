// Who is in the room, as the server tells it: everything at first, then what changed.

export class Roster {
  constructor() {
    this.clear();
  }

  clear() {
    this.people = new Map();
    this.joined = new Map();
    this.me = null;
    this.dominant = null;
    this.locked = false;
    this.recording = false;
    this.known = false;
  }

  /** Take a roster message in; returns what is worth telling people: {came, went, hands, ...}. */
  take(message) {
    const before = { people: new Map(this.people), locked: this.locked, recording: this.recording, known: this.known };
    if (message.since === null) this.people.clear();
    for (const person of message.people) this.people.set(person.id, { ...person, since: this.#since(person) });
    for (const id of message.gone) this.people.delete(id);
    this.me = message.you ?? this.me;
    this.dominant = message.dominant;
    this.locked = message.locked;
    this.recording = message.recording;
    this.known = true;
    return this.#news(before);
  }

  /** When they came, in our clock. Told is an age: reckoned anew each time it would waver. */
  #since(person) {
    if (!this.joined.has(person.id)) this.joined.set(person.id, performance.now() / 1000 - person.joined);
    return this.joined.get(person.id);
  }

  #news(before) {
    const others = [...this.people.values()].filter((person) => person.id !== this.me);
    const was = (person) => before.people.get(person.id);
    return {
      first: !before.known,
      came: others.filter((person) => !was(person)),
      went: [...before.people.values()].filter((person) => person.id !== this.me && !this.people.has(person.id)),
      hands: others.filter((person) => person.hand !== null && was(person)?.hand === null),
      screens: others.filter((person) => person.screen && was(person)?.screen === false),
      mine: { before: before.people.get(this.me), now: this.mine },
      locked: this.locked === before.locked ? null : this.locked,
      recording: this.recording === before.recording ? null : this.recording,
    };
  }

  get mine() { return this.people.get(this.me); }

  /** In the order in which they came; raised hands do not move anybody. */
  get everybody() {
    return [...this.people.values()].sort((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1));
  }

  get talking() {
    return new Set([...this.people.values()].filter((person) => person.talking).map((person) => person.id));
  }

  name(id) { return this.people.get(id)?.name ?? "Somebody"; }
}
