import { WatchPage } from '@/watch/WatchPage';

/** One page for all channels; the client reads the channel from the URL. */
export function generateStaticParams(): { channel: string }[] {
  return [{ channel: '_' }];
}

export const dynamicParams = false;

export default function Page() {
  return <WatchPage />;
}
