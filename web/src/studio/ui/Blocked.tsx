import { Message } from '@/shell/Message';
import { strings } from '@/strings';

import { Icon } from '@/shell/icons';
import styles from './Studio.module.css';

const words = strings.studio;

/** The browser gives this page no devices at all; why, and the ways out. */
export function Blocked({ insecure }: { readonly insecure: boolean }) {
  if (!insecure) return <Message title={words.unsupported.title} hint={words.unsupported.hint} />;
  const { protocol, host, port, pathname } = window.location;
  const local = `http://localhost${port === '' ? '' : `:${port}`}${pathname}`;
  return (
    <section className={styles.blocked} aria-labelledby="blocked">
      <Icon name="warning" className={styles.blockedSign} />
      <div className={styles.blockedWords}>
        <h2 className={styles.blockedTitle} id="blocked">
          {words.insecure.title}
        </h2>
        <p>{words.insecure.why(`${protocol}//${host}`)}</p>
        <h3 className={styles.blockedSubtitle}>{words.insecure.whatToDo}</h3>
        <ul className={styles.blockedList}>
          <li>
            {words.insecure.localhost} <a href={local}>{local}</a>
          </li>
          <li>{words.insecure.tls}</li>
          <li>{words.insecure.obs}</li>
        </ul>
      </div>
    </section>
  );
}
