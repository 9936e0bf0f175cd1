/** How hls.js gets playlists: the first may be there already, and what comes is read here first. */

import Hls, {
  type LoaderCallbacks,
  type LoaderConfiguration,
  type LoaderContext,
  type PlaylistLoaderConstructor,
  type PlaylistLoaderContext,
} from 'hls.js';

import { untilFirstSegment } from './startPosition';

type Callbacks = LoaderCallbacks<PlaylistLoaderContext>;

/** A loader of hls.js that puts the newest token into every address, by `current`. */
export function tokenLoader(current: (url: string) => string): typeof Hls.DefaultConfig.loader {
  const Base = Hls.DefaultConfig.loader;
  return class extends Base {
    override load(context: LoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<LoaderContext>): void {
      context.url = current(context.url);
      super.load(context, config, callbacks);
    }
  };
}

/** `multivariant` stands for the first load of the multivariant playlist; `level` hears each level's before hls.js does. */
export function playlistLoader(
  multivariant: string | null,
  level: (text: string) => void,
  Loader: typeof Hls.DefaultConfig.loader,
): PlaylistLoaderConstructor {
  let brought = multivariant;
  const Base = Loader as PlaylistLoaderConstructor;

  return class extends Base {
    private readonly gone = new AbortController();

    override load(context: PlaylistLoaderContext, config: LoaderConfiguration, callbacks: Callbacks): void {
      const kind: string = context.type;
      if (kind === 'manifest' && brought !== null) {
        this.answer(brought, context, callbacks);
        brought = null;
        return;
      }
      const onSuccess: Callbacks['onSuccess'] = (response, stats, of, details) => {
        const text = typeof response.data === 'string' ? response.data : '';
        void this.whole(response.url, text).then((data) => {
          if (this.gone.signal.aborted) return;
          if (kind === 'level') level(data);
          callbacks.onSuccess({ ...response, data }, stats, of, details);
        });
      };
      super.load(context, config, kind === 'manifest' ? callbacks : { ...callbacks, onSuccess });
    }

    override abort(): void {
      this.gone.abort();
      super.abort();
    }

    override destroy(): void {
      this.gone.abort();
      super.destroy();
    }

    /**
     * hls.js 1.7.4 plays nothing of a playlist without a whole segment, and asks for the next revision only after a
     * second or two: so the server is asked for the one that has it.
     */
    private async whole(url: string, text: string): Promise<string> {
      const next = untilFirstSegment(url, text);
      if (next === null) return text;
      try {
        const answer = await fetch(next, { signal: this.gone.signal });
        return answer.ok ? await answer.text() : text;
      } catch {
        return text;
      }
    }

    /** As an answer of the network, but for the wait. */
    private answer(data: string, context: PlaylistLoaderContext, { onSuccess }: Callbacks): void {
      const { stats } = this;
      stats.loading.start = stats.loading.first = stats.loading.end = performance.now();
      stats.loaded = stats.total = data.length;
      this.context = context;
      // Whole, as the network would say it: what it names is resolved against it, and hls.js adds no directives to paths.
      const { href } = new URL(context.url, document.baseURI);
      queueMicrotask(() => {
        if (!this.gone.signal.aborted) onSuccess({ url: href, data, code: 200 }, stats, context, null);
      });
    }
  };
}
