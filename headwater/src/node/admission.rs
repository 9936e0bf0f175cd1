//! Who may publish on this node: whom the control plane admits, as long as the machine has room.

use ingest::whip::{Admission, AdmitError, Admitted, Pending};
use schema::api::AdmitRequest;

use super::room::Room;
use crate::control::ControlClient;

/// When to ask again for room, in seconds: broadcasts do not end often.
const RETRY_AFTER_S: u32 = 30;

/// The control plane's word, then room.
pub(crate) struct NodeAdmission {
    pub(crate) control: ControlClient,
    pub(crate) room: Room,
}

impl Admission for NodeAdmission {
    fn admit(&self, request: AdmitRequest) -> Pending<'_, Result<Admitted, AdmitError>> {
        Box::pin(async move {
            let grant = self.control.admit(request).await?;
            match self.room.take(&grant) {
                Ok(place) => Ok(Admitted { grant, place: Some(Box::new(place)) }),
                Err(_) => Err(AdmitError::NoRoom { retry_after_s: RETRY_AFTER_S }),
            }
        })
    }
}
