import type { Metadata } from 'next';

import { AdminPage } from '@/admin/AdminPage';
import { strings } from '@/strings';
import { admin } from '@/strings/admin';

export const metadata: Metadata = {
  title: `${admin.title}${strings.separator}${strings.product}`,
  description: admin.description,
};

export default function Page() {
  return <AdminPage />;
}
