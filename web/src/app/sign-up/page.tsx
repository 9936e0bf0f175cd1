import type { Metadata } from 'next';

import { SignUpPage } from '@/accounts/SignUpPage';
import { strings } from '@/strings';
import { accounts } from '@/strings/accounts';

export const metadata: Metadata = {
  title: `${accounts.signUp.title}${strings.separator}${strings.product}`,
  description: accounts.signUp.description,
};

export default function Page() {
  return <SignUpPage />;
}
