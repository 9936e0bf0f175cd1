import type { Metadata } from 'next';

import { AccountPage } from '@/accounts/AccountPage';
import { strings } from '@/strings';
import { accounts } from '@/strings/accounts';

export const metadata: Metadata = {
  title: `${accounts.account.title}${strings.separator}${strings.product}`,
  description: accounts.account.description,
};

export default function Page() {
  return <AccountPage />;
}
