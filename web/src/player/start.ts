/** What the server put into the page: the channel's state at the request, and its multivariant playlist. */

import { isRecord, textAt } from '@/api/http';
import { parseState, type ChannelState } from '@/api/live';

export interface Start {
  readonly state: ChannelState;
  readonly multivariant: string | null;
}

/** The data block's id. */
const ID = 'start';

/** Reads the data of `channel`; null where there is none, as in a page that no server filled in. */
export function parseStart(text: string, channel: string): Start | null {
  try {
    const data: unknown = JSON.parse(text);
    if (!isRecord(data) || textAt(data, 'channel') !== channel) return null;
    return { state: parseState(data.state, channel), multivariant: textAt(data, 'multivariant') };
  } catch {
    return null;
  }
}

export function readStart(channel: string): Start | null {
  return parseStart(document.getElementById(ID)?.textContent ?? '', channel);
}
